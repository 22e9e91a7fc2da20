//! Real processes.

