# The commit that is built, for surveyd_build_info: -DSURVEYD_REVISION=… where there is no checkout to
# ask, else what git says, else "unknown".
set(SURVEYD_REVISION "" CACHE STRING "The commit that is built; asked of git when empty")
if(NOT SURVEYD_REVISION)
  set(SURVEYD_REVISION "unknown")
  find_package(Git QUIET)
  # Configured again with each commit.
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/.git/logs/HEAD)
    set_property(DIRECTORY APPEND PROPERTY
      CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/.git/logs/HEAD)
  endif()
  if(Git_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD
      WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
      OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(failed EQUAL 0)
      set(SURVEYD_REVISION ${revision})
    endif()
  endif()
endif()
