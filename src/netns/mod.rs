//! The pins.
