#pragma once

namespace surveyd {

/// Takes the pages of programs and libraries that were mapped while starting out of this process;
/// those that are used again come back from the page cache. What can be written to stays.
void give_back_start_up();

}  // namespace surveyd
