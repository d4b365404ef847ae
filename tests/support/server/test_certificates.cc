#include "tests/support/server/test_certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <stdexcept>

#include "server/openssl_objects.h"

namespace bif::server::testing {
namespace {

void Need(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot make a certificate");
}

std::string TextOf(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

void AddExtension(X509& certificate, X509& issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  Need(extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

// Signed by itself where there is no issuer.
Certificate Make(const std::string& name, int serial, const Certificate* authority) {
  const Key key(EVP_EC_gen("P-256"));
  const X509Certificate certificate(X509_new());
  Need(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509Certificate issuer;
  Key issuer_key;
  if (authority != nullptr) {
    const Bio pem(BIO_new_mem_buf(authority->certificate.data(), -1));
    const Bio key_pem(BIO_new_mem_buf(authority->key.data(), -1));
    issuer.reset(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_bio_PrivateKey(key_pem.get(), nullptr, nullptr, nullptr));
    Need(issuer != nullptr && issuer_key != nullptr);
  }
  X509& signer = issuer == nullptr ? *certificate : *issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(&signer));
  AddExtension(*certificate, signer, NID_basic_constraints,
               authority == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (authority != nullptr)
    AddExtension(*certificate, signer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  Need(X509_sign(certificate.get(), issuer_key == nullptr ? key.get() : issuer_key.get(),
                 EVP_sha256()) > 0);

  const Bio certificate_pem(BIO_new(BIO_s_mem()));
  const Bio key_pem(BIO_new(BIO_s_mem()));
  Need(PEM_write_bio_X509(certificate_pem.get(), certificate.get()) == 1 &&
       PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
           1);
  return {TextOf(certificate_pem), TextOf(key_pem)};
}

}  // namespace

Certificate MakeAuthority(const std::string& name) { return Make(name, 1, nullptr); }

Certificate MakeCertificate(const Certificate& authority, const std::string& name, int serial) {
  return Make(name, serial, &authority);
}

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace bif::server::testing
