"""File names that say that a file holds keys: it never leaves the machine, and is not indexed.

Patterns as in `.gitignore`, to be matched against lower-case paths.
"""

from __future__ import annotations

SECRET_FILES = (
    ".env", ".env.*", "*.env", ".envrc", "!.env.example", "!.env.sample", "!.env.template",
    "!.env.dist", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdb",
    "*.kdbx", "*.ppk", "*.asc", "*.gpg", "*.ovpn", "*.mobileprovision", "id_rsa*", "id_dsa*",
    "id_ecdsa*", "id_ed25519*", "!*.pub", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc",
    ".yarnrc.yml", ".pypirc", ".htpasswd", ".dockercfg", ".git-credentials", ".vault-token",
    ".boto", ".s3cfg", ".terraformrc", "terraform.rc", "credentials", "credentials.*",
    "!credentials.py", "!credentials.ts", "!credentials.js", "!credentials.go", "!credentials.rs",
    "!credentials.java", "!credentials.rb", "*.credentials", "secrets.json", "secrets.yaml",
    "secrets.yml", "secrets.toml", "secrets.ini", "secrets.env", "secrets.properties", "*.secret",
    "*.secrets", "*-secret.yaml", "*-secret.yml", "*-secrets.yaml", "*-secrets.yml",
    "client_secret*.json", "service-account*.json", "service_account*.json", "*.tfstate",
    "*.tfstate.*", "*.tfvars", "*.tfvars.json", "master.key", "wp-config.php", ".aws/", ".ssh/",
    ".gnupg/", ".kube/", "**/.docker/config.json", ".azure/", "**/.config/gcloud/",
)  # fmt: skip
