#include "host/device_program.hpp"

#include <array>
#include <cerrno>
#include <cstdint>

#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/unique_fd.hpp"

namespace surveyd {

Result<void> load_device_program() {
  // Before 5.11 programs count as locked memory, and too much of that is EPERM as well.
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  (void)::setrlimit(RLIMIT_MEMLOCK, &unlimited);

  std::array<bpf_insn, 2> allow{};  // return 1
  allow[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  allow[0].dst_reg = BPF_REG_0;
  allow[0].imm = 1;
  allow[1].code = BPF_JMP | BPF_EXIT;
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insn_cnt = allow.size();
  attributes.insns = reinterpret_cast<std::uintptr_t>(allow.data());
  attributes.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  const UniqueFd program{
      static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes))};
  if (!program) return os_error(errno, "bpf(BPF_PROG_LOAD, CGROUP_DEVICE)");
  return {};
}

}  // namespace surveyd
