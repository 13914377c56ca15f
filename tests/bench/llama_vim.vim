" Types the text of g:plan through llama.vim, in Vim and in Neovim, and writes down what was shown.
"
" A key every g:plan.pace ms. At the beginning of a line the typist looks for g:plan.look ms, or until
" a suggestion has been there for g:plan.read ms. One that has been there so long at the next key, and
" is how the text goes on, is taken: as a whole by <Tab>, or its first line by <S-Tab>. All others are
" typed over.

set nocompatible noswapfile encoding=utf-8 noautoindent backspace=indent,eol,start
filetype plugin indent off
let g:rest = g:plan.text
let g:log = []
let g:state = {'shown': -1, 'next': 0, 'looks': 0}

function! Ms() abort
  return reltimefloat(reltime(g:began)) * 1000
endfunction

function! Suggestion() abort
  if !llama#is_fim_hint_shown()
    return {}
  endif
  let l:data = getscriptinfo({'sid': g:plugin})[0].variables.fim_data
  return l:data.can_accept ? l:data : {}
endfunction

function! Typed() abort
  return strpart(getline('.'), 0, col('.') - 1)
endfunction

" What may be taken of a suggestion: the number of bytes, and the key.
function! Fits(data) abort
  if a:data.pos_x > 0 && a:data.line_cur[: a:data.pos_x - 1] !=# Typed()
    return [0, '']
  endif
  let l:whole = join(a:data.content, "\n")
  if strpart(g:rest, 0, strlen(l:whole)) ==# l:whole
    return [strlen(l:whole), "\<Tab>"]
  endif
  let l:line = a:data.content[0] .. "\n"
  if len(a:data.content) > 1 && strlen(l:line) > 3 && strpart(g:rest, 0, strlen(l:line)) ==# l:line
    return [strlen(l:line), "\<S-Tab>"]
  endif
  return [0, '']
endfunction

function! Press(key, bytes) abort
  let g:rest = strpart(g:rest, a:bytes)
  let l:looks = g:rest =~# '^\S' && (a:key ==# "\n" || (a:key ==# ' ' && Typed() =~# '^ *$'))
  let g:state = {'shown': -1, 'next': Ms() + (l:looks ? g:plan.look : g:plan.pace), 'looks': l:looks}
  call add(g:log, {'bytes': a:bytes, 'at': Ms(), 'shown': -1, 'text': ''})
  call feedkeys(a:key ==# "\n" ? "\<CR>" : a:key, a:bytes > 1 ? 't' : 'nt')
endfunction

function! Tick(timer) abort
  if mode() =~# '^r'
    call feedkeys("\<CR>", 'nt') " a message wants to have been read
  endif
  if mode() !=# 'i'
    return
  endif
  let l:now = Ms()
  let l:data = Suggestion()
  if !empty(l:data) && g:state.shown < 0 && !empty(g:log)
    let g:state.shown = l:now
    if g:state.looks && l:now + g:plan.read < g:state.next
      let g:state.next = l:now + g:plan.read
    endif
    let g:log[-1].shown = l:now - g:log[-1].at
    let g:log[-1].text = join(l:data.content, "\n")
  endif
  if l:now < g:state.next
    return
  endif
  if g:rest ==# '' || l:now > g:plan.limit
    call timer_stop(a:timer)
    call writefile([json_encode({'log': g:log, 'left': g:rest, 'lines': getline(1, '$')})], g:plan.out)
    qall!
    return
  endif
  let l:is_read = !empty(l:data) && g:state.shown >= 0 && l:now - g:state.shown >= g:plan.read
  let [l:bytes, l:key] = l:is_read ? Fits(l:data) : [0, '']
  if l:bytes
    call Press(l:key, l:bytes)
  else
    call Press(g:rest[0], 1)
  endif
endfunction

function! Begin() abort
  let g:plugin = getscriptinfo({'name': 'autoload/llama.vim'})[0].sid
  call cursor(g:plan.row, 1)
  let g:began = reltime()
  let g:state.next = g:plan.settle
  call feedkeys('A', 'nt')
  call timer_start(5, 'Tick', {'repeat': -1})
endfunction

autocmd VimEnter * call timer_start(50, {-> Begin()})
