# Compiler options of everything that is ours.
add_library(surveyd_options INTERFACE)
target_compile_options(surveyd_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Werror -fstack-protector-strong -fno-plt)
# g++ 12 warns about its own std::string and std::variant code once it is inlined (GCC bugs 105329,
# 105651 and their kin), and about coroutine frames with an allocator. Members of an Error that have
# no value are left out on purpose.
target_compile_options(surveyd_options INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict -Wno-maybe-uninitialized>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overflow -Wno-array-bounds>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-mismatched-new-delete>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-missing-field-initializers>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-missing-field-initializers>)
target_compile_definitions(surveyd_options INTERFACE _GLIBCXX_ASSERTIONS _GNU_SOURCE)
if(SURVEYD_SANITIZE)
  target_compile_options(surveyd_options INTERFACE
    -fsanitize=${SURVEYD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # Asio's fences, which it does not need here: all that crosses threads goes through a mutex.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>)
  target_link_options(surveyd_options INTERFACE -fsanitize=${SURVEYD_SANITIZE})
else()
  target_compile_options(surveyd_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
target_link_options(surveyd_options INTERFACE -pie -Wl,-z,relro,-z,now)
