// SPDX-License-Identifier: GPL-3.0-or-later
#include "transport/smb_library.hpp"

#include <dlfcn.h>

#include <string>

#include "error/error.hpp"

namespace ums::transport::smb {

namespace {

constexpr const char* name = "libsmbclient.so.0";

[[noreturn]] void fail() {
    const char* why = ::dlerror();
    throw Error(Fault::configuration,
                std::string("cannot load ") + name + ": " + (why != nullptr ? why : "unknown error"));
}

}  // namespace

const Library& Library::shared() {
    static const Library library;
    return library;
}

template <typename Function>
void Library::find(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(::dlsym(handle_, symbol));
    if (function == nullptr) fail();
}

Library::Library() : handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) fail();
    find(new_context, "smbc_new_context");
    find(init_context, "smbc_init_context");
    find(set_debug, "smbc_setDebug");
    find(set_configuration, "smbc_setConfiguration");
    find(set_timeout, "smbc_setTimeout");
    find(set_port, "smbc_setPort");
    find(set_protocols, "smbc_setOptionProtocols");
    find(set_kerberos, "smbc_setOptionUseKerberos");
    find(set_fallback, "smbc_setOptionFallbackAfterKerberos");
    find(set_ccache, "smbc_setOptionUseCCache");
    find(set_no_anonymous, "smbc_setOptionNoAutoAnonymousLogin");
    find(set_share_mode, "smbc_setOptionOpenShareMode");
    find(set_auth, "smbc_setFunctionAuthDataWithContext");
    find(get_open, "smbc_getFunctionOpen");
    find(get_read, "smbc_getFunctionRead");
    find(get_write, "smbc_getFunctionWrite");
    find(get_close, "smbc_getFunctionClose");
    find(get_rename, "smbc_getFunctionRename");
    find(get_unlink, "smbc_getFunctionUnlink");
    find(get_stat, "smbc_getFunctionStat");
    find(get_mkdir, "smbc_getFunctionMkdir");
    find(get_rmdir, "smbc_getFunctionRmdir");
    find(get_opendir, "smbc_getFunctionOpendir");
    find(get_closedir, "smbc_getFunctionClosedir");
    find(get_readdirplus, "smbc_getFunctionReaddirPlus");
}

}  // namespace ums::transport::smb
