//! What is in this repository beside the program: workflows, forms, documents. They cannot be run here, but what they say
//! can be held to what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "repository/documents.rs"]
mod documents;
#[path = "repository/forms.rs"]
mod forms;
#[path = "repository/workflow.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod workflow;
#[path = "repository/workflows.rs"]
mod workflows;
