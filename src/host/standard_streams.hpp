#pragma once

namespace surveyd {

/// Opens /dev/null in place of each of the descriptors 0 to 2 that is closed, as what got its
/// number would be taken for that stream. What is written there fails all the same. Before anything
/// else opens a descriptor.
void fill_standard_streams();

}  // namespace surveyd
