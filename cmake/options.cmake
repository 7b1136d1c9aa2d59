# Compiler options of everything that is ours.
add_library(surveyd_options INTERFACE)
target_compile_options(surveyd_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Werror)
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

# Hardening: a mistake ends the process, or meets addresses that nobody knows.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_SKIP_RPATH ON)
target_compile_options(surveyd_options INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fno-plt
  $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection=full>
  $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},aarch64>:-mbranch-protection=standard>)
target_link_options(surveyd_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

if(SURVEYD_SANITIZE)
  # Neither what hides a read of a variable that was never set, nor what checks before they do.
  target_compile_options(surveyd_options INTERFACE
    -fsanitize=${SURVEYD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # Asio's fences, which it does not need here: all that crosses threads goes through a mutex.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>)
  target_link_options(surveyd_options INTERFACE -fsanitize=${SURVEYD_SANITIZE})
else()
  target_compile_options(surveyd_options INTERFACE
    -ftrivial-auto-var-init=zero
    # Before clang 16 the option counts only together with this one.
    $<$<AND:$<COMPILE_LANG_AND_ID:CXX,Clang>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,16>>:-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang>
    # It needs the optimizer.
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
    $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()

# The same bytes wherever they are built (scripts/check-reproducible). A debugger wants real paths.
target_compile_options(surveyd_options INTERFACE
  $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>
  $<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_BINARY_DIR}/=build/>)
