//! Turnpike: a self-hosted AI gateway. This crate is the program: it moves the bytes, keeps the
//! money and holds the locks. What a request *means* is decided by WebAssembly policies.
//!
//! Rooms, in request order: `server`, `pipeline`, `auth`, `redact`, `classify`, `catalog`, `route`,
//! `limits`, `budget`, `sign`, `upstream`, `egress`, `usage`; beside the request: `policy`,
//! `store`, `admin`, `telemetry`, `config`, `cli`. `ARCHITECTURE.md` tells what each is for.

pub mod admin;
pub mod auth;
pub mod budget;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod egress;
pub mod error;
pub mod gateway;
pub mod hook;
pub mod ingress;
pub mod json;
pub mod limits;
pub mod pipeline;
pub mod policy;
pub mod redact;
pub mod route;
pub mod secret;
pub mod server;
pub mod sign;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod upstream;
pub mod usage;
