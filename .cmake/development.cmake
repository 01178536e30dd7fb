# What solens' own tests, programs and benchmarks share; no consumer sees it.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16))
  message(FATAL_ERROR "solens needs g++ >= 12 or clang >= 16, this is "
                      "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
endif()

# One of these that is left out is left out of the program and the tests, too.
set(SOLENS_MAY_BE_LEFT_OUT xtensor cuda hdf5)
foreach(component IN LISTS solens_COMPONENTS)
  if(NOT TARGET solens::${component} AND NOT component IN_LIST SOLENS_MAY_BE_LEFT_OUT)
    message(FATAL_ERROR "solens' own targets use every component but ${SOLENS_MAY_BE_LEFT_OUT}; "
                        "${solens_${component}_MISSING}")
  endif()
endforeach()

set(CMAKE_CXX_EXTENSIONS OFF)
set(SOLENS_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND SOLENS_WARNINGS -Wno-restrict)  # sees overlaps in std::string that are not there
endif()
if(SOLENS_WARNINGS_AS_ERRORS)
  list(APPEND SOLENS_WARNINGS -Werror)
endif()

# Links a target to components that may be missing: SOLENS_WITH_<COMPONENT> says that one is there.
function(solens_link_if_there target scope)
  foreach(component IN LISTS ARGN)
    if(TARGET solens::${component})
      string(TOUPPER ${component} name)
      target_link_libraries(${target} ${scope} solens::${component})
      target_compile_definitions(${target} ${scope} SOLENS_WITH_${name}=1)
    endif()
  endforeach()
endfunction()

# What solens' own targets share, under the project's warnings. Not cuda, which brings libraries of
# hundreds of megabytes, nor hdf5: who needs these links to them.
add_library(solens_everything INTERFACE)
target_link_libraries(solens_everything INTERFACE
  solens::solens solens::eigen solens::files solens::images)
solens_link_if_there(solens_everything INTERFACE xtensor)
target_compile_options(solens_everything INTERFACE ${SOLENS_WARNINGS})

if(SOLENS_IS_TOP)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(SOLENS_CCACHE ccache)
  if(SOLENS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # The sloppiness is what ccache asks for before it caches files with a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros ${SOLENS_CCACHE})
  endif()
endif()
