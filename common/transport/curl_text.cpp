// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/curl_text.hpp"

#include <curl/curl.h>

#include <system_error>

#include "text/text.hpp"

namespace ums::transport {

namespace {

// The numbers are those of OpenSSL's X509_verify_cert_error_string(3).
std::string certificate_text(CURL* curl, std::string_view host, const std::string& said) {
    // The name is libcurl's own check, with no number of OpenSSL's.
    if (said.find("subject name") != std::string::npos) {
        return "TLS: the server's certificate is not for the name " + text::quote(host);
    }
    long result = 0;
    curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
        case 9: return "TLS: the server's certificate is not valid yet";
        case 10: return "TLS: the server's certificate has expired";
        case 18: return "TLS: the server's certificate is self-signed and not known here";
        case 19: return "TLS: the server's certificate is signed by a self-signed CA that is not known here";
        case 2:
        case 20:
        case 21: return "TLS: the server's certificate is signed by a CA that is not known here";
        default: return "TLS: the server's certificate is not accepted: " + said;
    }
}

}  // namespace

std::string lower_first(std::string text) {
    const bool is_word = text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z';
    if (is_word) text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

std::string connection_text(void* curl, int code, std::string_view host, const std::string& said) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST: return "the host name " + text::quote(host) + " is not known";
        case CURLE_COULDNT_CONNECT: {
            long error = 0;
            curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
            if (error != 0) return lower_first(std::generic_category().message(static_cast<int>(error)));
            return "cannot connect: " + said;
        }
        case CURLE_PEER_FAILED_VERIFICATION: return certificate_text(curl, host, said);
        case CURLE_SSL_PINNEDPUBKEYNOTMATCH: return "TLS: the server's key is not the pinned one";
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE: return "TLS: a certificate or key file of ours cannot be used: " + said;
        case CURLE_SSL_CONNECT_ERROR:
            if (said.find("unsupported protocol") != std::string::npos ||
                said.find("protocol version") != std::string::npos || said.find("wrong version") != std::string::npos) {
                return "TLS: no connection: the server does not speak version 1.2 or a newer one: " + said;
            }
            return "TLS: no connection: " + said;
        default: return {};
    }
}

}  // namespace ums::transport
