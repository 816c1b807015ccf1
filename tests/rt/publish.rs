//! Messages get out: typed, on commit, of records, through Cloud Tasks.
