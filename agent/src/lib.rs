//! What the agent does: sources, spool, transports and the admin endpoint around its core.
