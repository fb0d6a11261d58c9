# Compiles one CUDA source for compute capability 9.0 and reads the assembler's report: no kernel may spill registers
# or keep local arrays in memory, and no wgmma wait for another without need (warnings C75xx). Kernels of CUB and Thrust
# are not ours to judge.
#   cmake -DNVCC= -DARCHITECTURE=90|90a -DSOURCE= -DROOT= -DINCLUDE= -DOUTPUT= -P ptxas.cmake
execute_process(
  COMMAND "${NVCC}" -std=c++20 -O3 --expt-relaxed-constexpr -gencode arch=compute_${ARCHITECTURE},code=sm_${ARCHITECTURE} -Xptxas -v "-I${ROOT}"
          "-I${ROOT}/include" "-I${INCLUDE}" -cubin "${SOURCE}" -o "${OUTPUT}"
  RESULT_VARIABLE status
  OUTPUT_VARIABLE report
  ERROR_VARIABLE report)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${report}")
endif()

if(report MATCHES "C75[0-9][0-9][^\n]*")
  message(FATAL_ERROR "${CMAKE_MATCH_0}")
endif()
string(REGEX MATCHALL "Function properties for [^\n]*\n[^\n]*spill loads[^\n]*(\n[^\n]*Used [0-9]+ registers)?" kernels
       "${report}")
set(judged 0)
set(bad "")
foreach(kernel IN LISTS kernels)
  string(REGEX MATCH "Function properties for ([^\n]*)\n" line "${kernel}")
  set(name "${CMAKE_MATCH_1}")
  if(name MATCHES "(3cub|6thrust)")
    continue()
  endif()
  math(EXPR judged "${judged} + 1")
  string(REGEX MATCH "Used ([0-9]+) registers" line "${kernel}")
  message(STATUS "${name}: ${CMAKE_MATCH_1} registers")
  if(NOT kernel MATCHES "[^0-9]0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads")
    string(REGEX MATCH "[0-9]+ bytes stack[^\n]*" frame "${kernel}")
    string(APPEND bad "\n${name}: ${frame}")
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "These kernels use local memory:${bad}")
endif()
message(STATUS "${judged} kernels without spills")
