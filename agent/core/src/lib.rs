//! What the agent decides: parsing, matching, aggregation, file identity, sealing and delivery, without any I/O.
