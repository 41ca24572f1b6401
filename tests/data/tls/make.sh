#!/usr/bin/env bash
# Makes the certificates of this folder: RSA-2048 as XAPI's own, one file a shape, key and certificate together.
set -euo pipefail
cd "$(dirname "$0")"

make() { # name, subject, days, extensions...
    local name=$1 subject=$2 not_before=$3 not_after=$4; shift 4
    openssl req -new -newkey rsa:2048 -nodes -keyout "$name.key" -subj "$subject" -out "$name.csr" 2>/dev/null
    printf '%s\n' "$@" > "$name.ext"
    : > index.txt; echo 01 > serial
    openssl ca -batch -notext -config ca.cnf -selfsign -keyfile "$name.key" -in "$name.csr" -out "$name.crt" \
        -startdate "$not_before" -enddate "$not_after" -extfile "$name.ext" 2>/dev/null
    cat "$name.key" "$name.crt" > "$name.pem"
}

cat > ca.cnf <<'CNF'
[ca]
default_ca = it
[it]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
[any]
commonName = supplied
CNF

here='subjectAltName = DNS:localhost, DNS:phantom.lan, IP:127.0.0.1, IP:::1'
make xapi     /CN=phantom.lan 20200101000000Z 20500101000000Z "$here"
make ca-true  /CN=phantom.lan 20200101000000Z 20500101000000Z "$here" 'basicConstraints = critical, CA:TRUE'
make expired  /CN=phantom.lan 20200101000000Z 20210101000000Z "$here"
make no-san   /CN=127.0.0.1   20200101000000Z 20500101000000Z 'keyUsage = digitalSignature, keyEncipherment'
make other    /CN=ignite.lan  20200101000000Z 20500101000000Z 'subjectAltName = DNS:ignite.lan, IP:192.0.2.9'

# An authority, and a host certificate that it signed.
make authority /CN=Authority 20200101000000Z 20500101000000Z 'basicConstraints = critical, CA:TRUE' 'keyUsage = keyCertSign'
openssl req -new -newkey rsa:2048 -nodes -keyout signed.key -subj /CN=phantom.lan -out signed.csr 2>/dev/null
printf '%s\n' "$here" > signed.ext
: > index.txt; echo 02 > serial
openssl ca -batch -notext -config ca.cnf -keyfile authority.key -cert authority.crt -in signed.csr -out signed.crt \
    -startdate 20200101000000Z -enddate 20500101000000Z -extfile signed.ext 2>/dev/null
cat signed.key signed.crt > signed.pem
mv authority.crt authority.keep
rm -f ./*.key ./*.csr ./*.ext ./*.crt ./index.txt* ./serial* ./0?.pem ca.cnf authority.pem
mv authority.keep authority.crt
