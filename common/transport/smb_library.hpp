// SPDX-License-Identifier: GPL-3.0-or-later
//
// libsmbclient, loaded when it is needed. Private to the transport module.
#pragma once

#include <libsmbclient.h>

namespace ums::transport::smb {

/// The functions of the library that a worker uses, under their names there without `smbc_`.
class Library {
  public:
    /// Loaded once, by the process that forks, so that its workers need not do that each for itself. Throws
    /// Error{configuration} if it is not installed.
    static const Library& shared();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    decltype(&smbc_new_context) new_context;
    decltype(&smbc_init_context) init_context;
    decltype(&smbc_setDebug) set_debug;
    decltype(&smbc_setConfiguration) set_configuration;
    decltype(&smbc_setTimeout) set_timeout;
    decltype(&smbc_setPort) set_port;
    decltype(&smbc_setOptionProtocols) set_protocols;
    decltype(&smbc_setOptionUseKerberos) set_kerberos;
    decltype(&smbc_setOptionFallbackAfterKerberos) set_fallback;
    decltype(&smbc_setOptionUseCCache) set_ccache;
    decltype(&smbc_setOptionNoAutoAnonymousLogin) set_no_anonymous;
    decltype(&smbc_setOptionOpenShareMode) set_share_mode;
    decltype(&smbc_setFunctionAuthDataWithContext) set_auth;
    decltype(&smbc_getFunctionOpen) get_open;
    decltype(&smbc_getFunctionRead) get_read;
    decltype(&smbc_getFunctionWrite) get_write;
    decltype(&smbc_getFunctionClose) get_close;
    decltype(&smbc_getFunctionRename) get_rename;
    decltype(&smbc_getFunctionUnlink) get_unlink;
    decltype(&smbc_getFunctionStat) get_stat;
    decltype(&smbc_getFunctionMkdir) get_mkdir;
    decltype(&smbc_getFunctionRmdir) get_rmdir;
    decltype(&smbc_getFunctionOpendir) get_opendir;
    decltype(&smbc_getFunctionClosedir) get_closedir;
    decltype(&smbc_getFunctionReaddirPlus) get_readdirplus;

  private:
    Library();
    template <typename Function>
    void find(Function& function, const char* symbol);

    void* handle_;
};

}  // namespace ums::transport::smb
