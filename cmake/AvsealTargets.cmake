# Every directory of the source tree is one library of the same name; a file added to it needs no edit here.

find_program(CCACHE ccache)
if(CCACHE)
  # Without these, ccache takes nothing that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fstack-protector-strong)
add_link_options(-Wl,-z,relro,-z,now)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(--param=ggc-min-heapsize=1000000)  # a tenth of a compilation is cc1plus collecting its garbage
endif()
if(AVSEAL_FUZZ)
  # Without `function`: clang 14 cannot emit that check for coroutines.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=function -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(AVSEAL_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(AVSEAL_TSAN)
  # Asio's fence is not understood by ThreadSanitizer, which g++ warns of; nothing here relies on it.
  # g++ 12 takes the frames of optimised coroutines for mismatched allocations (as GCC bug 105329).
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-tsan -Wno-mismatched-new-delete)
  add_link_options(-fsanitize=thread)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # False positives of g++ 12 on std::string, std::vector and coroutines when it optimises (as GCC bug 105329).
    add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-mismatched-new-delete)
  endif()
endif()

# Asio and Beast are compiled once, in hsm-service/asio.cpp.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
                        SPDLOG_FMT_EXTERNAL)

# avseal_library(NAME [DEPENDS ...]): a static library avseal_NAME of the sources in the current directory,
# without main.cpp.
function(avseal_library name)
  cmake_parse_arguments(ARG "PCH" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    return()
  endif()
  add_library(avseal_${name} STATIC ${sources})
  target_include_directories(avseal_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/hsm-service ${CMAKE_SOURCE_DIR}/tpm-ue)
  target_link_libraries(avseal_${name} PUBLIC ${ARG_DEPENDS})
  if(ARG_PCH AND AVSEAL_PCH)
    target_precompile_headers(avseal_${name} REUSE_FROM avseal_asio)
  endif()
endfunction()

# avseal_program(NAME DEPENDS ...): an executable NAME of the current directory's main.cpp.
function(avseal_program name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/main.cpp)
    return()
  endif()
  add_executable(${name} main.cpp)
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
endfunction()
