//! Tests of the shell rooms against a real RabbitMQ. `dev/broker run -- cargo test -p flowlift-consumer --test it` starts one;
//! without it they say that they are skipped.

#![cfg(test)]

mod attempts;
mod broker;
mod by_hand;
mod names;
mod parked;
mod parts;
mod permits;
mod process;
mod rig;
mod road;
mod steer;
mod waiting;
