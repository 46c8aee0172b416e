//! Conversations with directories and identity providers: what they say about a person, and whether
//! it can be believed. This layer keeps nothing in the database; `flows` decides what follows.

pub mod ldap;
pub mod oidc;
