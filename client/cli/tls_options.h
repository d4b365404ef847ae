// How the tools are told to speak TLS.
#pragma once

#include "CLI/CLI.hpp"
#include "client/tls.h"

namespace bif::client {

// --tls-ca, --tls-certificate and --tls-key, also from the environment.
inline void AddTlsOptions(CLI::App& app, TlsFiles& files) {
  app.add_option("--tls-ca", files.ca,
                 "speak TLS, with a server whose certificate is of this authority (PEM)")
      ->envname("BIF_TLS_CA")
      ->type_name("FILE");
  app.add_option("--tls-certificate", files.certificate,
                 "your own certificate, where the server asks for one (PEM)")
      ->envname("BIF_TLS_CERTIFICATE")
      ->type_name("FILE");
  app.add_option("--tls-key", files.key, "its key (PEM)")
      ->envname("BIF_TLS_KEY")
      ->type_name("FILE");
}

}  // namespace bif::client
