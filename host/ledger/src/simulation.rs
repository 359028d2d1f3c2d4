//! The simulation of the whole ledger.
