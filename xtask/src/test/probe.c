/* Compiled with what pkg-config says and run with the installed library: prints which versions meet,
 * and where the library thinks that it is installed. */
#include <lxc/attach_options.h>
#include <lxc/lxccontainer.h>
#include <lxc/version.h>
#include <stdio.h>

int main(void)
{
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	const char *file = lxc_get_global_config_item("lxc.default_config");

	if (options.stdout_fd != 1 || !lxc_config_item_is_supported("lxc.uts.name"))
		return 1;
	printf("%s %s %s\n", LXC_VERSION, lxc_get_version(), file ? file : "nowhere");
	return 0;
}
