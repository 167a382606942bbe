//! The program itself, run as a process: answers, complaints and exit codes.

mod frame;
