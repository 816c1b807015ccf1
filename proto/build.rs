//! Compiles `proto/` for the emulator; nothing to do for the other features.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "emulator")]
    emulator::compile()?;
    Ok(())
}

#[cfg(feature = "emulator")]
mod emulator {
    use std::path::{Path, PathBuf};

    pub(crate) fn compile() -> Result<(), Box<dyn std::error::Error>> {
        let root = Path::new("proto");
        let mut files = Vec::new();
        collect(root, &mut files)?;
        files.sort();
        let mut compiler = protox::Compiler::new([root])?;
        compiler.include_imports(true).open_files(&files)?;
        let out = PathBuf::from(std::env::var("OUT_DIR")?);
        // With options kept: the REST transcoder reads `google.api.http` from it.
        std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
        tonic_prost_build::configure()
            .build_client(false)
            .build_transport(false)
            .generate_default_stubs(true)
            .bytes(".google.pubsub.v1.PubsubMessage")
            .btree_map(".google.pubsub.v1")
            .btree_map(".google.cloud.tasks")
            .btree_map(".google.cloud.scheduler")
            .bytes(".google.cloud.tasks")
            .compile_fds(compiler.file_descriptor_set())?;
        Ok(())
    }

    fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, files)?;
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
        Ok(())
    }
}
