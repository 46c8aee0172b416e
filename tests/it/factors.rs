//! Second factors over HTTP and in real Chromium: the second step of a sign-in, passkeys, required
//! factors, the pages of one's own factors, the lock screen, and attacks on all of them.

mod attacks;
mod chromium;
mod crash;
mod dead_passkeys;
mod duty;
mod duty_answers;
pub mod kit;
mod lock_screen;
mod notices;
mod other_ways;
mod own;
mod repeated;
mod second_step;
mod switched_off;
