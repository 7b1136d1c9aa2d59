# surveyd_embed(OUTPUT FILE…): a C++ source with the bytes of each file, declared in http/page.hpp.
function(surveyd_embed output)
  set(inputs "")
  foreach(file IN LISTS ARGN)
    get_filename_component(input ${file} ABSOLUTE)
    list(APPEND inputs ${input})
  endforeach()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} "-DINPUTS=${inputs}"
            -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_script.cmake
    DEPENDS ${inputs} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_script.cmake
    COMMENT "Embedding the page" VERBATIM)
endfunction()
