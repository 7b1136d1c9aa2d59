#pragma once

namespace surveyd {

/// Takes the pages of the program and its libraries out of this process; those that are used again
/// come back from the page cache. What can be written to stays.
void give_back_program_pages();

}  // namespace surveyd
