package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyAllowedLicencesMayBeInABinary(t *testing.T) {
	for _, id := range []string{"MIT", "Apache-2.0", "BSD-3-Clause", "MPL-2.0"} {
		require.True(t, allowed[id], id)
	}
	for _, id := range []string{"LGPL-2.1", "LGPL-3.0", "GPL-2.0", "GPL-3.0", "AGPL-3.0", "SSPL-1.0", "BUSL-1.1"} {
		require.False(t, allowed[id], id)
	}
	const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software,
and to permit persons to whom the Software is furnished to do so, subject to the following conditions: The above
copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`
	const lgpl = `This library is free software; you can redistribute it and/or modify it under the terms of the GNU
Lesser General Public License as published by the Free Software Foundation; either version 2.1 of the License, or (at
your option) any later version.`
	require.NoError(t, texts{mit: {"example.com/a/LICENSE"}}.judge())
	require.ErrorContains(t, texts{mit + lgpl: {"example.com/a/LICENSE"}}.judge(), "LGPL")
	require.ErrorContains(t, texts{lgpl: {"example.com/a/LICENSE"}}.judge(), "LGPL")
	require.ErrorContains(t, texts{"All rights reserved.": {"example.com/a/LICENSE"}}.judge(),
		"no licence that is known")
	require.Error(t, texts{}.judge(), "nothing was found")
	require.False(t, texts{mit: {"example.com/a/NOTICE"}}.has("example.com/a"))
}
