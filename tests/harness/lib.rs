//! What the suites share: processes, ports, HTTP, files being written.
