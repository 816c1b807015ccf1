//! Subscribers: what arrives, what is done with it, what that answers.
