//! The engine in virtual time: scenarios against a world that keeps its rows as JSON and may restart at any moment.

mod agents;
mod budgets;
mod composites;
mod corrections;
mod data;
mod incidents;
mod property;
mod reboot;
mod rules;
mod slos;
mod world;
