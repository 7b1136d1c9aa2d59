#include "probes/kernel_module.hpp"

namespace surveyd::probes {

// ip_tables is none of its needs: engines that set up rules by nft work without (moby#49020).
Finding nftables(Subject& subject) {
  return kernel_module(subject, {"nf_tables", "nftables", "a table is made"});
}

}  // namespace surveyd::probes
