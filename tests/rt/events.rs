//! Events: by kind and reference, with signed URLs, in the forms of Eventarc and Cloud Storage.
