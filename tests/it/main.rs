//! What Turnpike promises, shown on the real program over real sockets. One binary, one module
//! per promise; `tidy` reads the source instead.

#[cfg(test)]
mod aliases;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_policies;
#[cfg(test)]
mod basics;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod clouds;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod explanation;
#[cfg(test)]
mod failing_disk;
#[cfg(test)]
mod fallback;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod hedging;
#[cfg(test)]
mod hosted_tools;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hot_upload;
#[cfg(test)]
mod kept_elsewhere;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod many_callers;
#[cfg(test)]
mod markup;
#[cfg(test)]
mod pitfalls;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod search_price;
#[cfg(test)]
mod settlement;
#[cfg(test)]
mod slow_reader;
#[cfg(test)]
mod slow_upload;
#[cfg(test)]
mod starters;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod untaken;
#[cfg(test)]
mod usage_size;
