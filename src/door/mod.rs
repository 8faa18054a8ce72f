//! The doors: where a container engine meets berth. Each gathers facts, asks [`crate::decide`], has
//! [`crate::apply`] carry out the verdict, and answers in its own protocol. No rule lives here.

pub mod count;
pub mod exec;
pub mod interpose;
pub mod nri;
mod said;
