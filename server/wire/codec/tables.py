"""Tables of the model, shipped as bytes; tests/server/wire/codec/test_tables.py makes them by rule.

SQUASH     1024 x 16 bits: chance of a 1, in 1/32768, where the odds' logarithm is index / 128
STRETCH    1024 x 8 bits, signed: the inverse, in 1/16, at chance (index + 1/2) / 1024
FINE       257: a change's class, 0 to 26, at change + 128; 13 is none
COARSE     257: a change's class, 0 to 12, at change + 128; 6 is none
DIGITS     256: binary digits of the index
AGES       256: a time's class, 0 to 24, in rows
RATE       128 x 16 bits: how far a counter moves after so many decisions, in 1/32768
"""

from array import array
from binascii import a2b_base64

SQUASH = array(
    "H",
    a2b_base64(
        b"AEBAQIBAwEAAQUBBgEHAQQBCQEKAQsBC/0I/Q39Dv0P/Qz5EfkS+RP1EPUV9RbxF/EU7RnpGukb5RjhHd0e2"
        b"R/VHNEhzSLJI8UgwSW5JrUnrSSpKaEqmSuVKI0thS59L3EsaTFhMlUzTTBBNTk2LTchNBU5CTn9Ou074TjRP"
        b"cU+tT+lPJVBhUJxQ2FAUUU9RilHFUQBSO1J2UrFS61IlU2BTmlPUUw1UR1SBVLpU81QsVWVVnlXWVQ9WR1Z/"
        b"VrdW71YnV19XllfNVwRYO1hyWKhY31gVWUtZgVm3We1ZIlpXWoxawVr2WipbX1uTW8db+1svXGJclVzJXPxc"
        b"Ll1hXZNdxl34XSpeW16NXr5e714gX1FfgV+yX+JfEmBCYHJgoWDQYP9gLmFdYYxhumHoYRZiRGJxYp9izGL5"
        b"YiZjUmN/Y6tj12MDZC5kWmSFZLBk22QGZTBlWmWEZa5l2GUCZitmVGZ9ZqZmzmb3Zh9nR2dvZ5ZnvmflZwxo"
        b"M2haaIBopmjMaPJoGGk9aWNpiGmtadJp9mkbaj9qY2qHaqpqzmrxahRrN2taa3xrn2vBa+NrBWwmbEhsaWyK"
        b"bKtszGzsbA1tLW1NbW1tjW2sbctt6m0JbihuR25lboRuom7Abt1u+24YbzZvU29wb4xvqW/Gb+Jv/m8acDZw"
        b"UXBtcIhwo3C+cNlw83AOcShxQnFccXZxkHGpccNx3HH1cQ5yJ3I/clhycHKIcqByuHLQcuhy/3IWcy5zRXNb"
        b"c3JziXOfc7VzzHPic/dzDXQjdDh0TnRjdHh0jXSidLZ0y3TfdPN0B3UbdS91Q3VXdWp1fnWRdaR1t3XKddx1"
        b"73UCdhR2JnY4dkp2XHZudoB2kXajdrR2xXbWdud2+HYJdxl3Knc6d0p3W3drd3t3i3ead6p3uXfJd9h353f3"
        b"dwZ4FHgjeDJ4QXhPeF14bHh6eIh4lnikeLJ4wHjNeNt46Hj2eAN5EHkdeSp5N3lEeVB5XXlqeXZ5gnmPeZt5"
        b"p3mzeb95y3nXeeJ57nn5eQV6EHoceid6Mno9ekh6U3peemh6c3p+eoh6k3qdeqd6sXq8esZ60HrZeuN67Xr3"
        b"egB7CnsUex17Jnswezl7QntLe1R7XXtme297eHuAe4l7knuae6N7q3uze7x7xHvMe9R73Hvke+x79Hv8ewN8"
        b"C3wTfBp8InwpfDF8OHw/fEd8TnxVfFx8Y3xqfHF8eHx/fIZ8jHyTfJp8oHynfK18tHy6fMF8x3zNfNN82nzg"
        b"fOZ87HzyfPh8/nwDfQl9D30VfRp9IH0mfSt9MX02fTx9QX1GfUx9UX1WfVt9YX1mfWt9cH11fXp9f32EfYl9"
        b"jX2SfZd9nH2gfaV9qn2ufbN9t328fcB9xH3Jfc190X3Wfdp93n3ifed9633vffN99337ff99A34Hfgp+Dn4S"
        b"fhZ+Gn4dfiF+JX4ofix+MH4zfjd+On4+fkF+RX5Ifkt+T35SflV+WX5cfl9+Yn5lfml+bH5vfnJ+dX54fnt+"
        b"fn6BfoR+h36Kfo1+kH6SfpV+mH6bfp5+oH6jfqZ+qH6rfq5+sH6zfrV+uH66fr1+v37CfsR+x37Jfsx+zn7Q"
        b"ftN+1X7Xftp+3H7efuB+437lfud+6X7rfu1+8H7yfvR+9n74fvp+/H7+fgB/An8EfwZ/CH8Kfwx/DX8PfxF/"
        b"E38Vfxd/GH8afxx/Hn8gfyF/I38lfyZ/KH8qfyt/LX8vfzB/Mn8zfzV/N384fzp/O389fz5/QH9Bf0N/RH9G"
        b"f0d/SX9Kf0t/TX9Of1B/UX9Sf1R/VX9Wf1h/WX9af1t/XX9ef19/YX9if2N/ZH9lf2d/aH9pf2p/a39sf25/"
        b"b39wf3F/cn9zf3R/dX92f3d/eX96f3t/fH99f35/f3+Af4F/gn+Df4R/hX+Gf4d/h3+If4l/in+Lf4x/jX+O"
        b"f49/kH+Qf5F/kn+Tf5R/lX+Wf5Z/l3+Yf5l/mn+af5t/nH+df55/nn+ff6B/oX+hf6J/o3+kf6R/pX+mf6Z/"
        b"p3+of6h/qX+qf6p/q3+sf6x/rX+uf65/r3+wf7B/sX+xf7J/s3+zf7R/tH+1f7Z/tn+3f7d/uH+4f7l/un+6"
        b"f7t/u3+8f7x/vX+9f75/vn+/f79/wH/Af8F/wX/Cf8J/w3/Df8R/xH/Ff8V/xn/Gf8d/x3/Hf8h/yH/Jf8l/"
        b"yn/Kf8p/y3/Lf8x/zH/Mf81/zX/Of85/zn/Pf89/0H/Qf9B/0X/Rf9F/0n/Sf9N/03/Tf9R/1H/Uf9V/1X/V"
        b"f9Z/1n/Wf9d/13/Xf9h/2H/Yf9h/2X/Zf9l/2n/af9p/23/bf9t/23/cf9x/3H/df91/3X/df95/3n/ef95/"
        b"33/ff99/33/gf+B/4H/gf+F/4X/hf+F/4n/if+J/4n/jf+N/43/jf+R/5H/kf+R/5H/lf+V/5X/lf+V/5n/m"
        b"f+Z/5n/mf+d/53/nf+d/53/of+h/6H/of+h/6X/pf+l/6X/pf+l/6n/qf+p/6n/qf+p/63/rf+t/63/rf+t/"
        b"7H/sf+x/7H/sf+x/7X/tf+1/7X/tf+1/7X/uf+5/7n/uf+5/7n/uf+9/73/vf+9/73/vf+9/8H/wf/B/8H/w"
        b"f/B/8H/wf/F/8X/xf/F/8X/xf/F/8X/xf/J/8n/yf/J/8n/yf/J/8n/yf/N/83/zf/N/83/zf/N/83/zf/N/"
        b"9H/0f/R/9H/0f/R/9H/0f/R/9H/0f/V/9X/1f/V/9X8="
    ),
)
STRETCH = array(
    "b",
    a2b_base64(
        b"hpigpamsr7Gztbe4uru8vb6/wMHCw8PExcXGx8fIyMnJysrLy8zMzc3Nzs7Pz8/Q0NDR0dHS0tLT09PT1NTU"
        b"1dXV1dbW1tbX19fX2NjY2NjZ2dnZ2dra2tra29vb29vc3Nzc3N3d3d3d3d7e3t7e3t/f39/f39/g4ODg4ODh"
        b"4eHh4eHh4eLi4uLi4uLj4+Pj4+Pj4+Tk5OTk5OTk5eXl5eXl5eXm5ubm5ubm5ubn5+fn5+fn5+fo6Ojo6Ojo"
        b"6Ojo6enp6enp6enp6erq6urq6urq6urr6+vr6+vr6+vr6+zs7Ozs7Ozs7Ozs7e3t7e3t7e3t7e3u7u7u7u7u"
        b"7u7u7u7v7+/v7+/v7+/v7+/w8PDw8PDw8PDw8PDw8fHx8fHx8fHx8fHx8fLy8vLy8vLy8vLy8vLz8/Pz8/Pz"
        b"8/Pz8/Pz8/T09PT09PT09PT09PT09fX19fX19fX19fX19fX29vb29vb29vb29vb29vf39/f39/f39/f39/f3"
        b"9/j4+Pj4+Pj4+Pj4+Pj4+Pn5+fn5+fn5+fn5+fn5+fr6+vr6+vr6+vr6+vr6+vr7+/v7+/v7+/v7+/v7+/v8"
        b"/Pz8/Pz8/Pz8/Pz8/Pz8/f39/f39/f39/f39/f39/f7+/v7+/v7+/v7+/v7+/v7/////////////////////"
        b"AAAAAAAAAAAAAAAAAAAAAAEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgICAwMDAwMDAwMDAwMDAwMD"
        b"AwQEBAQEBAQEBAQEBAQEBAQFBQUFBQUFBQUFBQUFBQUGBgYGBgYGBgYGBgYGBgYGBwcHBwcHBwcHBwcHBwcH"
        b"CAgICAgICAgICAgICAgICQkJCQkJCQkJCQkJCQkJCgoKCgoKCgoKCgoKCgoLCwsLCwsLCwsLCwsLCwwMDAwM"
        b"DAwMDAwMDAwMDQ0NDQ0NDQ0NDQ0NDQ0ODg4ODg4ODg4ODg4ODw8PDw8PDw8PDw8PDxAQEBAQEBAQEBAQEBAR"
        b"ERERERERERERERESEhISEhISEhISEhITExMTExMTExMTExQUFBQUFBQUFBQUFRUVFRUVFRUVFRUWFhYWFhYW"
        b"FhYWFxcXFxcXFxcXFxgYGBgYGBgYGBgZGRkZGRkZGRkaGhoaGhoaGhobGxsbGxsbGxwcHBwcHBwcHR0dHR0d"
        b"HR0eHh4eHh4eHx8fHx8fHx8gICAgICAhISEhISEhIiIiIiIiIyMjIyMjJCQkJCQlJSUlJSYmJiYmJycnJyco"
        b"KCgoKCkpKSkqKioqKysrKywsLC0tLS0uLi4vLy8wMDAxMTEyMjMzMzQ0NTU2Njc3ODg5OTo7Ozw9PT4/QEFC"
        b"Q0RFRkhJS01PUVRXW2Boeg=="
    ),
)
FINE = a2b_base64(
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQECAgIC"
    b"AgICAgICAgICAgICAwMDAwMDAwMDAwMDAwMDAwQEBAQEBAQEBQUFBQUFBQUGBgYGBwcHBwgICQkKCwwNDg8QERESEhMT"
    b"ExMUFBQUFRUVFRUVFRUWFhYWFhYWFhcXFxcXFxcXFxcXFxcXFxcYGBgYGBgYGBgYGBgYGBgYGRkZGRkZGRkZGRkZGRkZ"
    b"GRkZGRkZGRkZGRkZGRkZGRkaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGho="
)
COARSE = a2b_base64(
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEBAQEBAQEBAQEBAQEBAQECAgICAgICAgMDAwMEBAUGBwgICQkJCQoK"
    b"CgoKCgoKCwsLCwsLCwsLCwsLCwsLCwwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"
    b"DAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw="
)
DIGITS = a2b_base64(
    b"AAECAgMDAwMEBAQEBAQEBAUFBQUFBQUFBQUFBQUFBQUGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgcHBwcH"
    b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcICAgICAgICAgI"
    b"CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
    b"CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICA=="
)
AGES = a2b_base64(
    b"AAECAwQFBgcICQoLDA0ODxAQEBAREREREhISEhISEhITExMTExMTExMTExMTExMTFBQUFBQUFBQUFBQUFBQUFBUVFRUV"
    b"FRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYXFxcXFxcXFxcX"
    b"FxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcX"
    b"FxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXFxcXGA=="
)
RATE = array(
    "H",
    a2b_base64(
        b"AECqKgAgmRlVFUkSABA4DswMoguqCtgJJAmICAAIhwccB7wGZgYYBtEFkAVVBR4F7AS9BJIEaQREBCEEAATg"
        b"A8MDqAOOA3UDXgNIAzMDHwMMA/oC6ALYAsgCuQKqApwCjwKCAnYCagJeAlMCSQI+AjQCKwIiAhkCEAIIAgAC"
        b"+AHwAekB4QHaAdQBzQHHAcABugG0Aa8BqQGkAZ4BmQGUAY8BigGGAYEBfQF4AXQBcAFsAWgBZAFgAVwBWAFV"
        b"AVEBTgFKAUcBRAFBAT4BOwE4ATUBMgEvASwBKQEnASQBIQEfARwBGgEYARUBEwERAQ4BDAEKAQgBBgEEAQIB"
        b"AAH+AA=="
    ),
)
