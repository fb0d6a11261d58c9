// What the process needs before and at the beginning of main.
#pragma once

namespace elbo::cli {

/// Called first of all in main. Libraries have begun by then: OpenBLAS tries for ever where it gets no memory, so that
/// a process whose address space is limited (ulimit -v) ends with a message if main is not reached in ten seconds. From
/// here on a limit of file size is an error of writing, like a full disk (SIGXFSZ is ignored).
void begin_process();

} // namespace elbo::cli
