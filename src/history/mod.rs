//! The flight recorder, and the reader of what it has recorded.
//!
//! Events go one way: the writer makes batches of them and appends these to a log, and the sealer turns finished logs into
//! Parquet files. The journal tells which files count, so that each event is in exactly one of them at any moment.
//!
//! * `anchor`: a hold on the directory, whatever becomes of its name
//! * `catalogue`: the content of the journal, in order
//! * `containers`: the ids of the containers that events are of
//! * `contents`: the content of a log
//! * `dropped`: the events that found no room
//! * `file`: the Parquet of sealed files
//! * `files`: what is done with files
//! * `filter`: which events are wanted
//! * `fold`: waiting lines of the journal, made fewer
//! * `follow`: reads on from a position
//! * `frame`: messages of Arrow's IPC stream, with checksums
//! * `journal`: what counts, in lines
//! * `json`: JSON
//! * `layout`: names of files
//! * `line`: a line of the journal, with its checksum
//! * `log`: the log
//! * `losses`: the losses that the journal is told of
//! * `lz4`: LZ4 frames, decompressed
//! * `own_sum`: the checksum that a sealed file has of itself
//! * `prepare`: a recorder's directory before the first event
//! * `reader`: a directory's events, gaps and losses
//! * `recorder`: a recorder at work
//! * `recovery`: what a recorder finds at its start
//! * `retention`: which files are too many
//! * `scan`: reads files
//! * `schema`: the columns
//! * `sealer`: the thread that seals
//! * `seen`: what a batch has, in numbers
//! * `segment`: sealed files
//! * `shared`: the state that the threads share
//! * `snapshot`: the files that count at one moment
//! * `through`: up to when a session watched
//! * `watermarks`: the stretches of time of logs
//! * `who`: what happened to one path
//! * `writer`: the thread that writes

pub mod anchor;
pub mod catalogue;
pub mod containers;
mod contents;
mod dropped;
mod file;
mod files;
pub mod filter;
mod fold;
pub mod follow;
mod frame;
mod journal;
mod json;
mod layout;
mod line;
mod log;
mod losses;
mod lz4;
mod own_sum;
pub mod prepare;
pub mod reader;
pub mod recorder;
pub mod recovery;
mod retention;
pub mod scan;
pub mod schema;
mod sealer;
mod seen;
mod segment;
pub mod shared;
mod snapshot;
mod through;
mod watermarks;
pub mod who;
mod writer;
