//! How a pool is, concluded from data: nobody is asked.

mod diagnosis;
