# SPDX-License-Identifier: GPL-3.0-or-later
# What is installed beside the programs, and the Debian package.
set(examples ${CMAKE_INSTALL_DOCDIR}/examples)
file(GLOB man_pages_1 CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.1)
file(GLOB man_pages_5 CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.5)
file(GLOB man_pages_7 CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.7)
install(FILES ${man_pages_1} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${man_pages_5} DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${man_pages_7} DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(PROGRAMS examples/ums-supervisor DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES examples/mds-one-site.yaml examples/mds-redundant.yaml examples/mds-multisite.yaml examples/mds-mail.yaml
        DESTINATION ${examples})
install(FILES examples/cron/ums DESTINATION ${examples}/cron)
install(PROGRAMS examples/make-jobs DESTINATION ${examples})
install(FILES packaging/mds.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/ums)
install(FILES completions/ums.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ums-push)
foreach(tool ums-fetch ums-route ums-failover ums-sitemap ums-spool)
  # bash loads a completion by the name of the command; one file serves all.
  install(CODE "execute_process(COMMAND ${CMAKE_COMMAND} -E create_symlink ums-push
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/bash-completion/completions/${tool}\")")
endforeach()
install(FILES completions/ums.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _ums)
install(FILES completions/ums.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES examples/systemd/ums@.service examples/systemd/ums-pass.service examples/systemd/ums-pass.timer
        DESTINATION lib/systemd/system)
install(FILES packaging/ums.sysusers DESTINATION lib/sysusers.d RENAME ums.conf)
install(FILES packaging/ums.tmpfiles DESTINATION lib/tmpfiles.d RENAME ums.conf)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ums)
set(CPACK_PACKAGE_CONTACT "The ums maintainers <maintainers@ums.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Message distribution server for unified messaging")
set(CPACK_PACKAGE_DESCRIPTION
"Moves fax, voice and SMS messages between the connectors of mail systems and
the servers that send and receive them, over directories, SMB and WebDAV:
routing, balancing, failover with automatic return, and the number logic of several
sites. Composable command-line tools around a spool of plain files.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION comm)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# GMime is loaded at run time, where SHLIBDEPS does not see it. It does see libphonenumber, in a library of ours.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "bash (>= 5.1), libgmime-3.0-0, libsmbclient")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packaging/deb/postinst ${PROJECT_SOURCE_DIR}/packaging/deb/prerm
    ${PROJECT_SOURCE_DIR}/packaging/deb/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)
include(CPack)
