//! Who is master: whom to choose, who survives a partition, who holds the lock.

mod choice;
mod choice_laws;
mod partition;
mod partition_laws;
