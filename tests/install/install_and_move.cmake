# Installs the library from BUILD and moves what was installed to WORK/moved. WORK is emptied first.
file(REMOVE_RECURSE ${WORK})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --component solens_library
                        --prefix ${WORK}/first
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
file(RENAME ${WORK}/first ${WORK}/moved)

# Nothing installed names a folder of the build or of the first prefix.
file(GLOB_RECURSE packages ${WORK}/moved/share/*.cmake ${WORK}/moved/share/*.pc)
if(NOT packages)
  message(FATAL_ERROR "no package files were installed")
endif()
foreach(package IN LISTS packages)
  file(READ ${package} text)
  foreach(folder IN ITEMS ${WORK} ${BUILD})
    string(FIND "${text}" "${folder}" place)
    if(NOT place EQUAL -1)
      message(FATAL_ERROR "${package} names ${folder}")
    endif()
  endforeach()
endforeach()
