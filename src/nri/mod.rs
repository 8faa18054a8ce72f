//! The NRI plugin stub.
