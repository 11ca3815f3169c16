//! The account and the certificate in the data directory: one folder for each directory, so that what a staging server
//! gave is never shown in earnest.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::Certificate;

const ACCOUNT: &str = "account.json";
/// Key and chain in one file, so that they always fit together.
const CERTIFICATE: &str = "certificate.pem";

/// A folder that only its owner can read.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Makes the folder of this directory.
    pub(crate) fn open(data_dir: &Path, directory: &str) -> io::Result<Self> {
        let name: String = directory
            .trim_start_matches("https://")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
            .take(200)
            .collect();
        let folder = data_dir.join("acme").join(name);
        std::fs::create_dir_all(&folder)?;
        for folder in [folder.parent(), Some(&folder)].into_iter().flatten() {
            #[cfg(unix)]
            std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        Ok(Self { folder })
    }

    /// Where everything is, for messages.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The account, if there is one that can be read.
    pub(crate) fn account(&self) -> Option<AccountCredentials> {
        let text = std::fs::read(self.folder.join(ACCOUNT)).ok()?;
        match serde_json::from_slice(&text) {
            Ok(account) => Some(account),
            Err(error) => {
                tracing::warn!(err = %error, "the ACME account in {} cannot be read; making another", self.folder.display());
                None
            }
        }
    }

    pub(crate) fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        self.write(ACCOUNT, &serde_json::to_vec(account)?)
    }

    /// The directory does not know it any more.
    pub(crate) fn forget_account(&self) {
        let _ = std::fs::remove_file(self.folder.join(ACCOUNT));
    }

    /// The certificate, if there is one that can be used.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        let pem = std::fs::read(self.folder.join(CERTIFICATE)).ok()?;
        match read_certificate(&pem) {
            Ok(certificate) => Some(certificate),
            Err(problem) => {
                tracing::warn!(
                    "the certificate in {} cannot be used ({problem}); getting another",
                    self.folder.display()
                );
                None
            }
        }
    }

    /// Keeps the key and the chain, both PEM.
    pub(crate) fn keep_certificate(&self, key: &str, chain: &str) -> io::Result<()> {
        self.write(CERTIFICATE, format!("{}\n{}\n", key.trim(), chain.trim()).as_bytes())
    }

    /// The whole new file or the old one, whatever happens meanwhile.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        // Of a process that ended in the middle.
        let _ = std::fs::remove_file(&new);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// A key and a chain in one PEM text.
pub(crate) fn read_certificate(pem: &[u8]) -> Result<Certificate, String> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    Certificate::new(chain, key).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_its_owners_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path(), "https://ca.example/dir/../x").unwrap();
        assert!(kept.folder().ends_with("acme/ca.example-dir-..-x"), "{kept:?}");
        assert!(kept.certificate().is_none());
        assert!(kept.account().is_none());
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        for _ in 0..2 {
            kept.keep_certificate(&made.signing_key.serialize_pem(), &made.cert.pem()).unwrap();
        }
        assert_eq!(kept.certificate().unwrap().names, ["a.example"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(kept.folder()), 0o700);
            assert_eq!(mode(&folder.path().join("acme")), 0o700);
            assert_eq!(mode(&kept.folder().join(CERTIFICATE)), 0o600);
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path(), "https://ca.example").unwrap();
        for name in [ACCOUNT, CERTIFICATE] {
            kept.write(name, b"nonsense").unwrap();
        }
        assert!(kept.account().is_none());
        assert!(kept.certificate().is_none());
        kept.forget_account();
        assert!(!kept.folder().join(ACCOUNT).exists());
    }
}
