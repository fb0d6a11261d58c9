# elbo_cuda_architectures(<variable>): what to compile the kernels for when the user does not say. Compute capability 9.0
# as machine code and as PTX, from which newer devices compile theirs, and that of older devices in this machine.
function(elbo_cuda_architectures result)
  set(architectures 90)
  execute_process(
    COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE capabilities
    ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]" capabilities "${capabilities}")
    foreach(capability IN LISTS capabilities)
      string(REPLACE "." "" capability "${capability}")
      if(capability LESS 90)
        list(APPEND architectures ${capability}-real)
      endif()
    endforeach()
    list(REMOVE_DUPLICATES architectures)
  endif()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()
