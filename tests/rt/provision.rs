//! What an app needs is made, changed and taken away, and told before.
