//! The binary `crib`, as a library: a node of a cluster, and the command line that asks one.
//!
//! - [`config`]: settings of a node, from four sources, with their origins.
//! - [`errors`]: what is said when something goes wrong, each with a code that can be explained.
//! - [`cli`]: the commands; [`demo`]: a cluster on this machine; [`view`]: what both tell of one.
//! - [`run`]: from settings to a running node; [`node`]: the node itself.
//! - [`http`]: the second port: health, metrics, JSON. [`logs`], [`lock`]: furniture of a process.
//!
//! Standard output is data, standard error everything else. What a process ends with is in
//! [`errors::Exit`].

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod demo;
pub mod errors;
pub mod http;
pub mod lock;
pub mod logs;
pub mod node;
pub mod run;
mod service;
pub mod version;
pub mod view;
