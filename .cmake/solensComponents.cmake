# The optional components: one interface target for each whose libraries are here. The build and
# the installed package both read this file, so a component means the same in the two.
#
#   eigen    <solens/backend/eigen.hpp>, with OpenMP and a fast BLAS where they are found
#   xtensor  <solens/backend/xtensor.hpp>, with OpenMP where it is found
#   cuda     <solens/backend/cuda.hpp>, and its kernels, compiled for the GPUs of
#            SOLENS_CUDA_ARCHITECTURES by the toolkit's nvcc
#   files    the headers that read or write safetensors, npz, JSON and vocabularies
#   images   the headers that decode and write pictures
#   hdf5     <solens/image/hdf5_segmentation.hpp>, which reads ImageNet-Segmentation

set(solens_COMPONENTS eigen xtensor cuda files images hdf5)

# A BLAS that is worth having: one that the caller named (BLA_VENDOR), or a tuned one. The reference
# implementation, which is slower than Eigen's own kernels, never comes in by accident.
# `package` is BLAS, or LAPACK for both.
macro(_solens_find_tuned package)
  if(BLA_VENDOR)
    find_package(${package} QUIET)
  else()
    foreach(BLA_VENDOR IN ITEMS OpenBLAS FLAME Intel10_64lp Apple)
      find_package(${package} QUIET)
      if(${package}_FOUND)
        break()
      endif()
    endforeach()
  endif()
endmacro()

set(SOLENS_CUDA_ARCHITECTURES 80 90 CACHE STRING
    "Compute capabilities that the kernels are compiled for; later ones compile the last at run time")

# The kernels, as a library that is built when something links to it. nvcc is called by name: so the
# projects that use solens need not know the language CUDA, and any of their folders may ask for it.
function(_solens_compile_kernels)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/solens_cuda)
  file(CONFIGURE OUTPUT ${folder}/kernels.cu CONTENT "#include <solens/backend/cuda/kernels.cuh>\n")
  set(code)
  foreach(architecture IN LISTS SOLENS_CUDA_ARCHITECTURES)
    list(APPEND code -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  list(GET SOLENS_CUDA_ARCHITECTURES -1 last)
  list(APPEND code -gencode arch=compute_${last},code=compute_${last})
  set(includes $<TARGET_PROPERTY:solens::solens,INTERFACE_INCLUDE_DIRECTORIES>)
  add_custom_command(OUTPUT ${folder}/kernels.o
    COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} -std=c++20 -O3 --expt-relaxed-constexpr -Xcompiler=-fPIC
            -Werror=all-warnings ${code}
            "-I$<JOIN:${includes},;-I>" -MD -MF ${folder}/kernels.d
            -c ${folder}/kernels.cu -o ${folder}/kernels.o
    DEPENDS ${folder}/kernels.cu DEPFILE ${folder}/kernels.d COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Compiling the CUDA kernels")
  set_source_files_properties(${folder}/kernels.o PROPERTIES GENERATED TRUE EXTERNAL_OBJECT TRUE)
  add_library(solens_cuda_kernels STATIC EXCLUDE_FROM_ALL ${folder}/kernels.o)
  set_target_properties(solens_cuda_kernels PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

# Defines solens::<component>. Where a library is missing it defines nothing, and says in the
# caller's solens_<component>_MISSING what to install. A second argument GLOBAL makes the target
# visible in the whole build, not only in the calling directory.
function(solens_find_component component)
  if(TARGET solens::${component})
    return()
  endif()
  set(missing)
  set(libraries)
  set(definitions)
  set(folders)
  if(component STREQUAL "eigen")
    find_package(Eigen3 QUIET CONFIG)
    find_package(OpenMP QUIET COMPONENTS CXX)
    _solens_find_tuned(BLAS)
    if(NOT TARGET Eigen3::Eigen OR Eigen3_VERSION VERSION_LESS 3.4)
      list(APPEND missing "Eigen 3.4 or later (libeigen3-dev)")
    endif()
    list(APPEND libraries Eigen3::Eigen)
    if(TARGET OpenMP::OpenMP_CXX)
      list(APPEND libraries OpenMP::OpenMP_CXX)
    endif()
    if(TARGET BLAS::BLAS)
      list(APPEND libraries BLAS::BLAS)
      list(APPEND definitions SOLENS_HAS_BLAS=1)
    endif()
  elseif(component STREQUAL "xtensor")
    find_package(xtensor QUIET CONFIG)
    find_path(SOLENS_XTENSOR_BLAS xtensor-blas/xlapack.hpp DOC "The include folder of xtensor-blas")
    find_package(OpenMP QUIET COMPONENTS CXX)
    _solens_find_tuned(LAPACK)
    if(NOT TARGET xtensor OR xtensor_VERSION VERSION_LESS 0.24)
      list(APPEND missing "xtensor 0.24 or later (libxtensor-dev)")
    endif()
    if(NOT SOLENS_XTENSOR_BLAS)
      list(APPEND missing "xtensor-blas (libxtensor-blas-dev)")
    endif()
    if(NOT TARGET LAPACK::LAPACK)
      list(APPEND missing "a BLAS with LAPACK (libopenblas-openmp-dev)")
    endif()
    list(APPEND libraries xtensor LAPACK::LAPACK)
    list(APPEND folders ${SOLENS_XTENSOR_BLAS})
    if(TARGET OpenMP::OpenMP_CXX)
      list(APPEND libraries OpenMP::OpenMP_CXX)
    endif()
  elseif(component STREQUAL "cuda")
    find_package(CUDAToolkit 12 QUIET)
    if(CUDAToolkit_NVCC_EXECUTABLE AND TARGET CUDA::cudart AND TARGET CUDA::cublas
       AND TARGET CUDA::cusolver)
      if(NOT TARGET solens_cuda_kernels)
        _solens_compile_kernels()
      endif()
    else()
      list(APPEND missing "NVIDIA's CUDA toolkit 12 or later, with nvcc, cuBLAS and cuSOLVER")
    endif()
    list(APPEND libraries solens_cuda_kernels CUDA::cudart CUDA::cublas CUDA::cusolver)
  elseif(component STREQUAL "files")
    find_package(nlohmann_json 3.10 QUIET CONFIG)
    find_package(ZLIB QUIET)
    if(NOT TARGET nlohmann_json::nlohmann_json)
      list(APPEND missing "nlohmann_json 3.10 or later (nlohmann-json3-dev)")
    endif()
    if(NOT TARGET ZLIB::ZLIB)
      list(APPEND missing "zlib (zlib1g-dev)")
    endif()
    list(APPEND libraries nlohmann_json::nlohmann_json ZLIB::ZLIB)
  elseif(component STREQUAL "images")
    find_package(JPEG QUIET)
    find_package(PNG QUIET)
    if(NOT TARGET JPEG::JPEG)
      list(APPEND missing "libjpeg-turbo (libjpeg-dev)")
    endif()
    if(NOT TARGET PNG::PNG)
      list(APPEND missing "libpng (libpng-dev)")
    endif()
    list(APPEND libraries JPEG::JPEG PNG::PNG)
  elseif(component STREQUAL "hdf5")
    # CMake's own module for it works only in projects of the language C.
    find_path(SOLENS_HDF5_FOLDER hdf5.h PATH_SUFFIXES hdf5/serial DOC "The include folder of HDF5")
    find_library(SOLENS_HDF5_LIBRARY NAMES hdf5 hdf5_serial PATH_SUFFIXES hdf5/serial
                 DOC "The C library of HDF5")
    if(NOT SOLENS_HDF5_FOLDER OR NOT SOLENS_HDF5_LIBRARY)
      list(APPEND missing "HDF5 (libhdf5-dev)")
    endif()
    list(APPEND libraries ${SOLENS_HDF5_LIBRARY})
    list(APPEND folders ${SOLENS_HDF5_FOLDER})
  else()
    list(JOIN solens_COMPONENTS ", " known)
    set(solens_${component}_MISSING "no component ${component} (there are: ${known})" PARENT_SCOPE)
    return()
  endif()

  if(missing)
    list(JOIN missing ", " missing)
    set(solens_${component}_MISSING "component ${component} needs ${missing}" PARENT_SCOPE)
    return()
  endif()
  add_library(solens::${component} INTERFACE IMPORTED ${ARGN})
  target_link_libraries(solens::${component} INTERFACE solens::solens ${libraries})
  target_compile_definitions(solens::${component} INTERFACE ${definitions})
  target_include_directories(solens::${component} SYSTEM INTERFACE ${folders})
endfunction()
